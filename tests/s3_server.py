"""An S3 server on loopback, moto's, that asks nobody who they are unless it is told to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
import requests
from moto.server import ThreadedMotoServer

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAMIRRORSETTEST",
    "AWS_SECRET_ACCESS_KEY": "not-a-real-secret-7f3a",
    "AWS_DEFAULT_REGION": "us-east-1",
    # Nothing is looked for on the machine or in its network.
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
}


@dataclass(frozen=True)
class S3Server:
    """The running server. url: its endpoint."""

    url: str
    server: ThreadedMotoServer

    def client(self) -> "boto3.client":
        """Amazon's own client of it."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        )

    def objects(self, bucket: str) -> dict[str, int]:
        """Bytes of every object, by key."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}


@contextmanager
def serving(port: int = 0) -> Iterator[S3Server]:
    """A fresh one in threads of this process."""
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        # Of all servers of a process: another one may have been told to ask.
        requests.post(f"{url}/moto-api/reset-auth", data="inf", timeout=10).raise_for_status()
        yield S3Server(url, server)
    finally:
        server.stop()
