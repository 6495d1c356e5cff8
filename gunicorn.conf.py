"""gunicorn's settings, from ours. Threads pay: concurrent majority writes share journal flushes."""

from config.settings import settings

proc_name = "matchback serve"
wsgi_app = "service.app:start()"
bind = f"{settings().host}:{settings().port}"
worker_class = "gthread"
workers = settings().web_workers
threads = settings().web_threads
timeout = 30
graceful_timeout = 10
keepalive = 75  # longer than a load balancer's, so that it is never we who close first
# Its default place is the home folder, where a second server would take it over.
control_socket_disable = True
accesslog = None
loglevel = "warning"


def worker_exit(server, worker):
    """Let the last wake-ups go; what does not make it is due, and the sweep finds it."""
    from jobs.outbox import outbox

    outbox.flush(0.5)
