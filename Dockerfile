# Two images from one wheel: the portal, and what runs inside a hospital (which has no Django).
FROM python:3.13-slim AS base
ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --create-home --uid 10001 quorate
WORKDIR /app

FROM base AS site
COPY requirements/site.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/site.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation . && install -d -o quorate /var/lib/site
USER quorate
CMD ["site-agent", "--help"]

FROM base AS portal
COPY requirements/portal.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/portal.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && QUORATE_HOME=/tmp/build python manage.py collectstatic --no-input \
    && install -d -o quorate /var/lib/quorate
USER quorate
