import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { findCommand } from '../scripts/debian-packages.ts'
import { smallBody } from './bodies.ts'
import { ca, certificate, certificateKey } from './certificates.ts'
import type { Program } from './children.ts'

const root = resolve(import.meta.dirname, '..')

/** Where everything listens; all of it on 127.0.0.1. */
export interface Addresses {
  readonly upstream: number
  readonly tokenEndpoint: number
}

/** A proxy that adds a bearer token and a key to each request and verifies the upstream's certificate, on one core. */
export interface Target {
  readonly name: string
  readonly title: string
  /** undefined when it is not installed here. */
  readonly version: string | undefined
  program(port: number, addresses: Addresses, directory: string): Program
}

export interface SidecarOptions {
  readonly accessLog?: boolean
  /** One token set per value of X-Subject. */
  readonly subjects?: boolean
  readonly output?: string
}

/** As the Dockerfile sets them. */
export const nodeOptions = {
  NODE_ENV: 'production',
  NODE_OPTIONS: '--max-semi-space-size=4',
  MALLOC_ARENA_MAX: '1',
}

/** The sidecar as the image runs it. Access logging is a matter of the log level. */
export function sidecar(
  port: number,
  { upstream, tokenEndpoint }: Addresses,
  directory: string,
  options: SidecarOptions = {},
): Program {
  const config = {
    version: 1,
    proxy: { listen: `127.0.0.1:${port}` },
    admin: { listen: '127.0.0.1:0' },
    credentials: {
      api: {
        provider: 'generic',
        grant: 'client_credentials',
        clientId: 'bench',
        clientSecret: 'bench',
        tokenUrl: `http://127.0.0.1:${tokenEndpoint}/token`,
        headers: { 'Bb-Api-Subscription-Key': 'key' },
        ...(options.subjects && { subjectHeader: 'X-Subject' }),
      },
    },
    routes: [{ path: '/', upstream: `https://127.0.0.1:${upstream}`, credential: 'api', tls: { ca } }],
    store: { type: 'memory' },
    log: { level: options.accessLog ? 'info' : 'warn', format: 'json' },
  }
  const file = join(directory, `sidecar-${port}.yaml`)
  writeFileSync(file, JSON.stringify(config))
  return {
    command: process.execPath,
    parameters: [join(root, 'dist/cli/main.js'), 'start', '--config', file],
    core: 'proxy',
    env: { ...nodeOptions, NODE_COMPILE_CACHE: join(directory, 'compile-cache') },
    output: options.output ?? join(directory, 'sidecar.log'),
  }
}

const manifest = createRequire(import.meta.url)
const packageVersion = (name: string) => {
  // http-proxy does not export its package.json.
  const file = join(root, 'node_modules', name, 'package.json')
  return (manifest(file) as { version: string }).version
}

/** The first number that a program prints about itself. */
function programVersion(command: string, ...parameters: string[]): string | undefined {
  const file = findCommand(command)
  if (file === undefined) return undefined
  const { stdout, stderr } = spawnSync(file, parameters, { encoding: 'utf8' })
  return /\d+\.\d+(\.\d+)?/.exec(stdout + stderr)?.[0]
}

export const targets: readonly Target[] = [
  {
    name: 'bearer-sidecar',
    title: 'bearer-sidecar',
    version: (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version,
    program: sidecar,
  },
  {
    name: 'http-proxy',
    title: '@fastify/http-proxy',
    version: packageVersion('@fastify/http-proxy'),
    program: (port, { upstream }) => ({
      command: process.execPath,
      parameters: [join(import.meta.dirname, 'stock-proxy.ts'), String(port), `https://127.0.0.1:${upstream}`, ca],
      core: 'proxy',
      env: { NODE_ENV: 'production' },
    }),
  },
  {
    name: 'caddy',
    title: 'Caddy',
    version: programVersion('caddy', 'version'),
    program: (port, { upstream }, directory) => {
      const file = join(directory, 'Caddyfile')
      writeFileSync(file, caddyfile(port, upstream))
      return {
        command: 'caddy',
        parameters: ['run', '--adapter', 'caddyfile', '--config', file],
        core: 'proxy',
        // One core for everyone; more scheduler threads than cores would only cost it.
        env: { GOMAXPROCS: '1', HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
      }
    },
  },
  {
    name: 'nginx',
    title: 'nginx',
    version: programVersion('nginx', '-v'),
    program: (port, { upstream }, directory) => {
      const file = join(directory, 'nginx-proxy.conf')
      writeFileSync(file, nginxProxy(port, upstream, directory))
      return { command: findCommand('nginx') ?? 'nginx', parameters: ['-c', file, '-p', directory], core: 'proxy' }
    },
  },
  {
    name: 'haproxy',
    title: 'HAProxy',
    version: programVersion('haproxy', '-v'),
    program: (port, { upstream }, directory) => {
      const file = join(directory, 'haproxy.cfg')
      writeFileSync(file, haproxy(port, upstream))
      return { command: findCommand('haproxy') ?? 'haproxy', parameters: ['-f', file, '-db'], core: 'proxy' }
    },
  },
  {
    name: 'envoy',
    title: 'Envoy',
    version: programVersion('envoy', '--version'),
    program: (port, { upstream }, directory) => {
      const file = join(directory, 'envoy.json')
      writeFileSync(file, JSON.stringify(envoy(port, upstream)))
      return { command: 'envoy', parameters: ['-c', file, '--concurrency', '1', '--log-level', 'error'], core: 'proxy' }
    },
  },
]

const caddyfile = (port: number, upstream: number) => `{
  admin off
  auto_https off
  log {
    level ERROR
  }
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  reverse_proxy https://127.0.0.1:${upstream} {
    header_up Authorization "Bearer fresh"
    header_up Bb-Api-Subscription-Key "key"
    transport http {
      tls_trusted_ca_certs ${ca}
      tls_server_name localhost
      keepalive_idle_conns_per_host 128
    }
  }
}
`

const nginxCommon = (directory: string, name: string) => `daemon off;
user root;
pid ${join(directory, `${name}.pid`)};
worker_processes 1;
error_log ${join(directory, `${name}.log`)} error;
events { worker_connections 4096; }
`
const nginxPaths = (directory: string) =>
  ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${join(directory, name)};`)
    .join('\n  ')

const nginxProxy = (port: number, upstream: number, directory: string) => `${nginxCommon(directory, 'nginx-proxy')}
http {
  access_log off;
  ${nginxPaths(directory)}
  keepalive_requests 1000000000;
  client_max_body_size 0;
  upstream api { server 127.0.0.1:${upstream}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} reuseport;
    location / {
      proxy_pass https://api;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer fresh";
      proxy_set_header Bb-Api-Subscription-Key "key";
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${ca};
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
    }
  }
}
`

/** The upstream of the small answers: refuses a request that does not carry what a proxy has to add. */
export function nginxUpstream(port: number, directory: string): Program {
  const file = join(directory, 'nginx-upstream.conf')
  writeFileSync(
    file,
    `${nginxCommon(directory, 'nginx-upstream')}
http {
  access_log off;
  ${nginxPaths(directory)}
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${certificate};
    ssl_certificate_key ${certificateKey};
    default_type application/json;
    location / {
      if ($http_authorization !~ "^Bearer .") { return 401; }
      if ($http_bb_api_subscription_key != "key") { return 401; }
      return 200 '${smallBody}';
    }
  }
}
`,
  )
  return { command: findCommand('nginx') ?? 'nginx', parameters: ['-c', file, '-p', directory], core: 'rest' }
}

const haproxy = (port: number, upstream: number) => `global
  nbthread 1
  maxconn 4096
  ssl-server-verify required
defaults
  mode http
  timeout connect 5s
  timeout client 120s
  timeout server 120s
  http-reuse always
frontend local
  bind 127.0.0.1:${port}
  http-request set-header Authorization "Bearer fresh"
  http-request set-header Bb-Api-Subscription-Key "key"
  default_backend api
backend api
  server api 127.0.0.1:${upstream} ssl verify required ca-file ${ca} verifyhost localhost sni str(localhost) pool-max-conn 128
`

const envoy = (port: number, upstream: number) => {
  const address = (value: number) => ({ socket_address: { address: '127.0.0.1', port_value: value } })
  const type = (name: string) => `type.googleapis.com/envoy.extensions.${name}`
  const header = (key: string, value: string) => ({
    header: { key, value },
    append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
  })
  const manager = {
    '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'local',
    route_config: {
      request_headers_to_add: [header('Authorization', 'Bearer fresh'), header('Bb-Api-Subscription-Key', 'key')],
      virtual_hosts: [{ name: 'api', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'api' } }] }],
    },
    http_filters: [{ name: 'router', typed_config: { '@type': type('filters.http.router.v3.Router') } }],
  }
  const tls = {
    '@type': type('transport_sockets.tls.v3.UpstreamTlsContext'),
    sni: 'localhost',
    common_tls_context: {
      validation_context: {
        trusted_ca: { filename: ca },
        match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'localhost' } }],
      },
    },
  }
  return {
    static_resources: {
      listeners: [{ address: address(port), filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }] }],
      clusters: [
        {
          name: 'api',
          load_assignment: {
            cluster_name: 'api',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream) } }] }],
          },
          transport_socket: { name: 'tls', typed_config: tls },
        },
      ],
    },
  }
}
