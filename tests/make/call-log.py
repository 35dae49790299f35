"""Validates a call log: every line against the published schema. Usage: call-log.py SCHEMA FILE FEWEST-LINES"""

import json
import sys

from jsonschema import Draft7Validator

schema, log, fewest = sys.argv[1:]
with open(schema, encoding="utf-8") as file:
    validator = Draft7Validator(json.load(file))
wrong = lines = 0
with open(log, encoding="utf-8") as file:
    for lines, line in enumerate(file, 1):
        try:
            errors = [error.message for error in validator.iter_errors(json.loads(line))]
        except ValueError as error:
            errors = [str(error)]
        if errors:
            wrong += 1
            print(f"{log}:{lines}: {'; '.join(errors)}\n  {line.strip()[:400]}", file=sys.stderr)
print(f"call log: {lines} lines, {wrong} of them not as {schema} says")
sys.exit(wrong > 0 or lines < int(fewest))
