#!/usr/bin/env python3
"""Publishes a page (or a crawl request) for sluice from Python.

    pip install "confluent-kafka[avro,schemaregistry]"
    export KAFKA_BROKERS=127.0.0.1:9092 SCHEMA_REGISTRY_URL=http://127.0.0.1:8081/apis/ccompat/v7
    python produce_page.py page --tenant acme --url https://acme.example/pricing pricing.html
    python produce_page.py crawl --tenant acme https://acme.example/

Only the fields of the public contract are filled in; every other field has a default in the schema. What a producer in
any language has to get right:

- the key is the tenant's id in UTF-8, equal to `tenant_id` in the value: else the record goes to the dead letters;
- the partitioner is murmur2, as Kafka's Java client and kafkajs have it: librdkafka's own default is CRC32, which would
  put a tenant's pages on two partitions and so out of order;
- the schema is the registry's, under `<topic>-value`; producers do not register schemas of their own.
"""

import argparse
import mimetypes
import os
import sys
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

# The largest page body that sluice takes; larger ones would end in the dead letters.
MAX_PAGE_BYTES = 5 * 1024 * 1024
# A page of that size that does not compress, and its envelope; the topics take 8 MB.
MAX_RECORD_BYTES = 8 * 1024 * 1024


def main() -> int:
    arguments = parse_arguments()
    topic, value = arguments.record(arguments)
    partition, offset = publish(topic, arguments.tenant, value)
    print(f"{topic} partition {partition} offset {offset}")
    return 0


def page(arguments: argparse.Namespace) -> tuple[str, dict]:
    """All that `pages.crawled` needs. `version` may be set too: it must grow with every change of the page."""
    body = arguments.file.read_bytes()
    if len(body) > MAX_PAGE_BYTES:
        sys.exit(f"{arguments.file}: {len(body)} bytes, at most {MAX_PAGE_BYTES} are taken")
    content_type = arguments.content_type or mimetypes.guess_type(arguments.file.name)[0] or "text/html"
    return "pages.crawled", {
        "tenant_id": arguments.tenant,
        "url": arguments.url,
        "body": body,
        "content_type": content_type,
    }


def crawl(arguments: argparse.Namespace) -> tuple[str, dict]:
    """All that `crawl.requests` needs."""
    return "crawl.requests", {"tenant_id": arguments.tenant, "urls": arguments.url}


def publish(topic: str, tenant: str, value: dict) -> tuple[int, int]:
    """Writes one record and waits until all in-sync replicas have it; returns its partition and offset."""
    producer = Producer(
        {
            "bootstrap.servers": os.environ["KAFKA_BROKERS"],
            "partitioner": "murmur2_random",
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "zstd",
            "message.max.bytes": MAX_RECORD_BYTES,
            "delivery.timeout.ms": 30_000,
        }
    )
    registry = SchemaRegistryClient({"url": os.environ["SCHEMA_REGISTRY_URL"]})
    # Without a schema of its own the serializer takes the subject's latest version.
    serialize = AvroSerializer(registry, conf={"auto.register.schemas": False, "use.latest.version": True})
    outcome = {}
    producer.produce(
        topic,
        key=tenant.encode(),
        value=serialize(value, SerializationContext(topic, MessageField.VALUE)),
        on_delivery=lambda error, message: outcome.update(error=error, message=message),
    )
    producer.flush()
    if outcome["error"] is not None:
        sys.exit(f"{topic}: {outcome['error'].str()}")
    return outcome["message"].partition(), outcome["message"].offset()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Publishes a page or a crawl request for sluice.")
    commands = parser.add_subparsers(required=True, metavar="page | crawl")

    one = commands.add_parser("page", help="a page that you have already: HTML, Markdown or plain text")
    one.add_argument("--tenant", required=True, help="the tenant that owns the page")
    one.add_argument("--url", required=True, help="the page's address, or any stable URI")
    one.add_argument("--content-type", help="MIME type with charset if known; default: by the file's name")
    one.add_argument("file", type=Path)
    one.set_defaults(record=page)

    many = commands.add_parser("crawl", help="asks the crawler to fetch pages")
    many.add_argument("--tenant", required=True, help="the tenant that will own the pages")
    many.add_argument("url", nargs="+", help="pages to start from")
    many.set_defaults(record=crawl)

    arguments = parser.parse_args()
    missing = [name for name in ("KAFKA_BROKERS", "SCHEMA_REGISTRY_URL") if not os.environ.get(name)]
    if missing:
        parser.error(f"set {' and '.join(missing)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
