"""A queue with several servers in salabim: reads arrivals and services as JSON, prints seconds and mean wait."""

from __future__ import annotations

import json
import sys
import time

import salabim as sim

job = json.load(sys.stdin)
times, work = job["times"], job["work"]
waits = []


class Request(sim.Component):
    def setup(self, seconds):
        self.seconds = seconds

    def process(self):
        arrival = self.env.now()
        yield self.request(servers)
        waits.append(self.env.now() - arrival)
        yield self.hold(self.seconds)
        self.release()


class Source(sim.Component):
    def process(self):
        for at, seconds in zip(times, work, strict=True):
            yield self.hold(till=at)
            Request(seconds=seconds)


start = time.process_time()
environment = sim.Environment(yieldless=False, trace=False)
servers = sim.Resource("servers", capacity=job["servers"])
Source()
environment.run()
seconds = time.process_time() - start
print(json.dumps({"seconds": seconds, "wait": sum(waits) / len(waits), "requests": len(waits)}))
