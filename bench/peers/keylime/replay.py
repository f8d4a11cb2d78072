# replay.py LIST HASH REPETITIONS: Keylime's own replay of a measurement list in text, in CPU-seconds. JSON a line.
import json
import logging
import sys
import time

from keylime.common.algorithms import Hash
from keylime.ima import ima

logging.disable(logging.CRITICAL)
with open(sys.argv[1], encoding="utf-8") as file:
    lines = file.read().split("\n")
for _ in range(int(sys.argv[3])):
    begun = time.process_time()
    value, failure = ima.process_measurement_list(None, lines, hash_alg=Hash(sys.argv[2]))
    took = time.process_time() - begun
    if failure:
        sys.exit("Keylime refused the list")
    print(json.dumps({"entries": len(lines) - 1, "cpu": took, "value": value}))
