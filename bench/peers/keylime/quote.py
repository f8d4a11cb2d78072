# quote.py KEY NONCE QUOTE: Keylime's own check of a quote; KEY (PEM) and QUOTE are files. JSON of the registers; fails if it is refused.
import base64
import json
import sys

from keylime.tpm import tpm_util

with open(sys.argv[1], "rb") as file:
    key = file.read()
with open(sys.argv[3], encoding="utf-8") as file:
    quote = file.read()
assert quote.startswith("r")
message, signature, registers = (base64.b64decode(part) for part in quote[1:].split(":"))
print(json.dumps(tpm_util.checkquote(key, sys.argv[2], signature, message, registers, "sha256")))
