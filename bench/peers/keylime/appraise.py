# appraise.py LIST POLICY: what Keylime says of each line of a measurement list in text under a runtime policy. JSON on stdout.
import copy
import json
import logging
import sys

from keylime.common.algorithms import Hash
from keylime.ima import file_signatures, ima

logging.disable(logging.CRITICAL)
with open(sys.argv[2], encoding="utf-8") as file:
    text = file.read()
ima.verify_runtime_policy(text.encode(), verify_sig=False)
policy = ima.deserialize_runtime_policy(text)
ima.validate_runtime_policy(policy)


def appraise(lines):
    keyrings = file_signatures.ImaKeyrings()
    keyrings.set_tenant_keyring(file_signatures.ImaKeyring.from_string(policy["verification-keys"]))
    value, failure = ima.process_measurement_list(
        None, lines, runtime_policy=copy.deepcopy(policy), ima_keyrings=keyrings, hash_alg=Hash.SHA256
    )
    return value, not failure


with open(sys.argv[1], encoding="utf-8") as file:
    lines = file.read().split("\n")[:-1]
value, accepted = appraise(lines)
print(json.dumps({"value": value, "accepted": accepted, "each": [appraise([line])[1] for line in lines]}))
