# One image for every role: api, worker, migrate. Its context is made by `node stack/image.ts <folder>`: npm packages, Node,
# the console and the outside programs are in there, so that building needs no network.
FROM debian:bookworm-slim
RUN --mount=type=bind,source=debs,target=/debs DEBIAN_FRONTEND=noninteractive dpkg --install --refuse-downgrade /debs/*.deb >/dev/null
RUN useradd --uid 10001 --create-home --home-dir /var/lib/slipway slipway
COPY bin/ /usr/local/bin/
COPY slipway/ /srv/slipway/
WORKDIR /srv/slipway
ENV PATH=/srv/slipway/node_modules/.bin:/usr/local/bin:/usr/bin:/bin \
    NODE_ENV=production \
    SLIPWAY_HOST=0.0.0.0 \
    SLIPWAY_CONSOLE_DIR=/srv/slipway/dist/console \
    SLIPWAY_WORKFLOW_BUNDLE=/srv/slipway/dist/workflows.js \
    SLIPWAY_TRIVY_CACHE_DIR=/var/lib/slipway/trivy \
    SLIPWAY_WORK_DIR=/var/lib/slipway/work
USER 10001
EXPOSE 8080
ENTRYPOINT ["slipway"]
CMD ["api"]
