# Image of the broker: compiled in one stage, run in another that has neither compiler nor sources.
# Debian rather than Alpine, because RocksDB's prebuilt add-on is linked against glibc (linux-x64 only: elsewhere
# run it with SLUICE_STORE=segment). test/deploy/image.e2e.ts carries out every step of this file.
FROM node:24-bookworm-slim AS build
WORKDIR /opt/sluice
COPY package.json package-lock.json .npmrc tsconfig.json ./
COPY scripts/prepare.mjs scripts/
RUN node scripts/prepare.mjs install
COPY src src
RUN node scripts/prepare.mjs build
# What a running broker never reads: tools, RocksDB's own sources and its binaries for other systems, maps and types.
RUN npm prune --omit=dev \
 && cd node_modules \
 && rm -rf @nxtedition/rocksdb/deps @nxtedition/rocksdb/prebuilds.zip @nxtedition/rocksdb/prebuilds/darwin-* @types \
 && find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

FROM node:24-bookworm-slim
# The command under its own name, and where compose files written for EMQX look for it. `exec`, so that signals reach
# the broker itself: no init process is needed.
RUN printf '#!/bin/sh\nexec node /opt/sluice/dist/main.js "$@"\n' > /usr/local/bin/sluice \
 && chmod 755 /usr/local/bin/sluice \
 && mkdir -p /opt/emqx/bin /opt/emqx/etc /etc/sluice /var/lib/sluice \
 && ln -s /usr/local/bin/sluice /opt/emqx/bin/emqx \
 && chown node:node /var/lib/sluice
WORKDIR /opt/sluice
COPY --from=build /opt/sluice/node_modules node_modules
COPY --from=build /opt/sluice/dist dist
COPY package.json LICENSE ./
# Inside a container every interface is the container's own; what is published, and whether clients must say who they
# are, is decided by who runs it. REST API and dashboard ask everybody for a key or an account.
ENV NODE_ENV=production SLUICE_HOST=0.0.0.0 SLUICE_ALLOW_ANONYMOUS=true SLUICE_HTTP_LOCAL_ACCESS=false SLUICE_DATA_DIR=/var/lib/sluice
USER node
VOLUME /var/lib/sluice
EXPOSE 1883 8083 8084 8883 18083
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["sluice", "ctl", "status"]
ENTRYPOINT ["/usr/local/bin/sluice"]
CMD ["start"]
