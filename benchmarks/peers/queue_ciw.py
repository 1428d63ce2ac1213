"""A queue with several servers in Ciw: reads arrivals and services as JSON, prints seconds and mean wait."""

from __future__ import annotations

import itertools
import json
import sys
import time

import ciw

job = json.load(sys.stdin)
times, work = job["times"], job["work"]
gaps = [times[0], *(b - a for a, b in itertools.pairwise(times)), float("inf")]
network = ciw.create_network(
    arrival_distributions=[ciw.dists.Sequential(gaps)],
    service_distributions=[ciw.dists.Sequential(work)],
    number_of_servers=[job["servers"]],
)
start = time.process_time()
simulation = ciw.Simulation(network)
simulation.simulate_until_max_customers(len(times), method="Finish")
seconds = time.process_time() - start
waits = [record.waiting_time for record in simulation.get_all_records()]
print(json.dumps({"seconds": seconds, "wait": sum(waits) / len(waits), "requests": len(waits)}))
