# Container image of the device side: docs/container.md. It needs wheels of EdgeKit in dist/.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3-venv
COPY constraints.txt dist/*.whl /wheels/
ARG EXTRAS=video,mqtt,serve,metrics,sign
# For a build without a network: a folder of wheels, and 1.
ARG PIP_FIND_LINKS
ARG PIP_NO_INDEX
# The OpenCV without windows replaces the other one, and needs neither X11 nor OpenGL.
RUN python3 -m venv /opt/edgekit \
    && cd /opt/edgekit/bin \
    && ./pip install --no-cache-dir -c /wheels/constraints.txt --find-links /wheels "edgekit-vision[$EXTRAS]" \
    && version=$(./python -c "import importlib.metadata as m; print(m.version('opencv-python'))") \
    && ./pip uninstall -y opencv-python \
    && ./pip install --no-cache-dir --no-deps "opencv-python-headless==$version" \
    && ./pip uninstall -y setuptools pip

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
    && useradd --uid 10001 --shell /usr/sbin/nologin --create-home --home-dir /var/lib/edgekit --groups video edgekit \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /opt/edgekit /opt/edgekit
ENV PATH=/opt/edgekit/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER edgekit
WORKDIR /var/lib/edgekit
VOLUME /var/lib/edgekit
STOPSIGNAL SIGTERM
ENTRYPOINT ["edgekit"]
CMD ["run", "--config", "/etc/edgekit/edgekit.toml"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
