"""The same bytes as files: what a server takes on this machine that does nothing else."""

import gzip
from pathlib import Path

from benchmarks.load import tool
from exporter.local.ports import free_port
from exporter.local.processes import Processes


def serve(processes: Processes, folder: Path, text: bytes) -> str:
    """nginx with one worker, serving the finished text and its gzip as files."""
    port = free_port(0, "")
    (folder / "metrics").write_bytes(text)
    (folder / "metrics.gz").write_bytes(gzip.compress(text, 3))
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;\n"
        "events { worker_connections 256; }\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n"
        f"server {{ listen 127.0.0.1:{port}; root {folder}; gzip_static on; default_type text/plain; }} }}\n"
    )
    folder.chmod(0o755)  # its worker runs as another user
    processes.start("nginx", [tool("nginx"), "-c", str(conf), "-p", str(folder)])
    url = f"http://127.0.0.1:{port}"
    processes.wait_ready("nginx", f"{url}/metrics")
    return url
