"""A queue of wake-ups on Amazon SQS: a standard queue, which loses nothing but can repeat messages.

The worker deletes up to ten received messages with one request. If the deletion fails, the messages
come again, which changes nothing. If the worker dies after the deletion, the sweep does the work.
boto3 finds the credentials in the environment, a profile, or the machine's role.
"""

import logging
from collections import deque
from collections.abc import Callable
from functools import cached_property
from typing import Any

from config.queues import address
from config.queues.storage import WakeUpStorage

# Maximum size of a message in bytes, which all services compatible with SQS support.
MAX_MESSAGE_BYTES = 256 * 1024
MESSAGES_PER_REQUEST = 10
# Maximum wait of a request for a message. With 4 s, an idle worker sends 22,000 requests per day,
# and can still stop within ten seconds.
SQS_WAIT_SECONDS = 4
VISIBILITY_TIMEOUT_SECONDS = 30  # time until a received, undeleted message comes again
MESSAGE_RETENTION_SECONDS = 3600  # the sweep has processed the records of older messages
SQS_TIMEOUT_SECONDS = 3


class SqsQueue(WakeUpStorage):
    """One queue, created on first use if it does not exist."""

    def __init__(self, name: str, at: address.SqsAddress) -> None:
        super().__init__(f"{at.prefix}-{name}")
        self._at = at
        self._url = ""
        self._received: deque[bytes] = deque()

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Send a message.

        Raises:
            ValueError: the message is too large.
            ConnectionError: SQS is unavailable or denies access.
        """
        if len(data) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {len(data)} bytes is too large for SQS")
        self._ask("send_message", MessageBody=data.decode())

    def look(self) -> bytes | None:
        """Return the next message, or None after four seconds without one."""
        if not self._received:
            self._receive()
        return self._received.popleft() if self._received else None

    def queue_size(self) -> int:
        """Return the approximate number of waiting messages."""
        name = "ApproximateNumberOfMessages"
        answer = self._ask("get_queue_attributes", AttributeNames=[name])
        return int(answer["Attributes"][name])

    def flush_queue(self) -> None:
        """Delete all messages."""
        self._received.clear()
        self._ask("purge_queue")

    def close(self) -> None:
        """Close the connections. The next use opens new ones."""
        if client := self.__dict__.pop("_client", None):
            client.close()

    def _receive(self) -> None:
        answer = self._ask(
            "receive_message",
            MaxNumberOfMessages=MESSAGES_PER_REQUEST,
            WaitTimeSeconds=SQS_WAIT_SECONDS,
            VisibilityTimeout=VISIBILITY_TIMEOUT_SECONDS,
        )
        messages = answer.get("Messages", ())
        self._received.extend(message["Body"].encode() for message in messages)
        if messages:
            receipts = [message["ReceiptHandle"] for message in messages]
            entries = [{"Id": str(n), "ReceiptHandle": one} for n, one in enumerate(receipts)]
            self._ask("delete_message_batch", Entries=entries)

    def _ask(self, operation: str, **more: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._url = self._url or self._find_or_make()
            return getattr(self._client, operation)(QueueUrl=self._url, **more)
        except ClientError as error:
            self._url = ""  # create the queue again if it was deleted
            raise ConnectionError(f"SQS: {error.response['Error']['Code']}") from error
        except BotoCoreError as error:
            raise ConnectionError(f"SQS: {type(error).__name__}") from error

    def _find_or_make(self) -> str:
        """Return the queue's URL.

        Look it up first, because the role may not be allowed to create it.
        """
        try:
            found = self._client.get_queue_url(QueueName=self.name)
        except self._client.exceptions.QueueDoesNotExist:
            kept = {"MessageRetentionPeriod": str(MESSAGE_RETENTION_SECONDS)}
            found = self._client.create_queue(QueueName=self.name, Attributes=kept)
        return str(found["QueueUrl"])

    @cached_property
    def _client(self) -> Any:
        """The client, created on first use and so after a fork. boto3 needs 30 MB."""
        import boto3
        from botocore.config import Config

        for name in ("boto3", "botocore", "urllib3"):
            logging.getLogger(name).setLevel(logging.WARNING)  # they log each request
        connect: Callable[..., Any] = boto3.session.Session().client
        return connect(
            "sqs",
            region_name=self._at.region,
            endpoint_url=self._at.endpoint_url,
            config=Config(
                connect_timeout=SQS_TIMEOUT_SECONDS,
                read_timeout=SQS_WAIT_SECONDS + SQS_TIMEOUT_SECONDS,
                retries={"total_max_attempts": 1},  # the sweep is the retry
            ),
        )
