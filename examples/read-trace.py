"""Prints the records of trace files as JSON lines: python read-trace.py TRACE/memory/0/*.avro (pip install fastavro)."""
import io, json, sys
import fastavro

for path in sys.argv[1:]:
    with open(path, "rb") as file:
        reader = fastavro.reader(file)
        schemas = {bytes.fromhex(mark): fastavro.parse_schema(schema)
                   for mark, schema in json.loads(reader.metadata["attestream.schemas"]).items()}
        for record in reader:
            schema = schemas.get(record["schema"])
            if schema and record["value"] is not None:
                record["value"] = fastavro.schemaless_reader(io.BytesIO(record["value"]), schema)
            print(json.dumps(record, default=lambda value: value.hex() if isinstance(value, bytes) else str(value)))
