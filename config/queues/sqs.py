"""A queue of wake-ups on Amazon SQS: a standard queue, which loses nothing and can repeat messages.

The worker deletes messages when it receives them, ten with one request. If the deletion fails, the
message comes again, which changes nothing. If the worker dies first, the sweep does the work. boto3
finds the credentials: in the environment, a profile, or the machine's role.
"""

import logging
from collections import deque
from collections.abc import Callable
from functools import cached_property
from typing import Any

from config.queues import address
from config.queues.storage import WakeUpStorage

# What a message may have, in bytes: long the limit of all who speak SQS. An id has 27.
MAX_MESSAGE_BYTES = 256 * 1024
MESSAGES_PER_REQUEST = 10
# A request waits so long for a message: 4 s make 22,000 requests a day while nothing happens, and
# leave the worker time to stop within its ten.
SQS_WAIT_SECONDS = 4
VISIBILITY_TIMEOUT_SECONDS = 30  # how long a message that was received and not deleted stays away
MESSAGE_RETENTION_SECONDS = 3600  # the sweep has done what an older message tells of
SQS_TIMEOUT_SECONDS = 3


class SqsQueue(WakeUpStorage):
    """One queue, made at first use unless it is there."""

    def __init__(self, name: str, at: address.SqsAddress) -> None:
        super().__init__(f"{at.prefix}-{name}")
        self._at = at
        self._url = ""
        self._received: deque[bytes] = deque()

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Send a message.

        Raises:
            ValueError: it is too large.
            ConnectionError: SQS is away, or does not let us.
        """
        if len(data) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {len(data)} bytes is too large for SQS")
        self._ask("send_message", MessageBody=data.decode())

    def look(self) -> bytes | None:
        """The next message, or None after four seconds without one."""
        if not self._received:
            self._receive()
        return self._received.popleft() if self._received else None

    def queue_size(self) -> int:
        """About how many messages wait."""
        name = "ApproximateNumberOfMessages"
        answer = self._ask("get_queue_attributes", AttributeNames=[name])
        return int(answer["Attributes"][name])

    def flush_queue(self) -> None:
        """Take all messages away."""
        self._received.clear()
        self._ask("purge_queue")

    def close(self) -> None:
        """Close the connections; the next use opens others."""
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
            self._url = ""  # it may have been deleted: then it is made anew
            raise ConnectionError(f"SQS: {error.response['Error']['Code']}") from error
        except BotoCoreError as error:
            raise ConnectionError(f"SQS: {type(error).__name__}") from error

    def _find_or_make(self) -> str:
        """Who may not make queues may find one that was made for them."""
        try:
            found = self._client.get_queue_url(QueueName=self.name)
        except self._client.exceptions.QueueDoesNotExist:
            kept = {"MessageRetentionPeriod": str(MESSAGE_RETENTION_SECONDS)}
            found = self._client.create_queue(QueueName=self.name, Attributes=kept)
        return str(found["QueueUrl"])

    @cached_property
    def _client(self) -> Any:
        """Made at first use, and so after a fork; boto3 is 30 MB that other queues do without."""
        import boto3
        from botocore.config import Config

        for name in ("boto3", "botocore", "urllib3"):
            logging.getLogger(name).setLevel(logging.WARNING)  # they tell of every request
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
