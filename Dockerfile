# syntax=docker/dockerfile:1
# docker build -t bearer-sidecar .
# test/package/image.test.ts runs the RUN lines below in a clean folder, so keep them plain shell.

FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# The image has the right Node: the dev dependency that brings one (an install script) is not needed here.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && rm -f dist/.tsbuildinfo
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:26-bookworm-slim
# The program needs node alone; package managers in a running container only serve an intruder.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn* /opt/yarn*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY LICENSE config.example.yaml ./

# 65532 is "nonroot" in the images that have such a user; the number is what Kubernetes' runAsNonRoot can check.
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/bearer-sidecar && install -d -o 65532 -g 65532 /app/.compile-cache
USER 65532:65532

# The young generation at its default of 16 MiB costs memory under load and saves next to no CPU; more arenas of malloc cost 2 MB (docs/performance.md).
ENV NODE_ENV=production \
    NODE_OPTIONS=--max-semi-space-size=4 \
    MALLOC_ARENA_MAX=1 \
    NODE_COMPILE_CACHE=/app/.compile-cache \
    BEARER_SIDECAR_CONFIG=/etc/bearer-sidecar/config.yaml

# Plays every scene of the demo: fails the build when the image cannot do its job, and fills the compile cache for a quick start.
RUN ["node", "dist/cli/main.js", "demo", "--once"]

VOLUME /var/lib/bearer-sidecar
EXPOSE 8080 9090

# Alive, not ready: a container that waits for a login must not be restarted. Set HEALTH_URL when admin.listen is another one.
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch(process.env.HEALTH_URL ?? 'http://127.0.0.1:9090/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/dist/cli/main.js"]
CMD ["start"]
