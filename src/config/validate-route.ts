import picomatch from 'picomatch'
import { http } from '../builtins.ts'
import { isLoopback } from '../http/loopback.ts'
import type { Provider } from '../providers/provider.ts'
import { forbiddenHeader, sameHeader } from './injected-headers.ts'
import type { Finding } from './problems.ts'
import type { Config, CredentialConfig, RouteConfig } from './schema.ts'
import { didYouMean } from './suggest.ts'
import { tlsFindings } from './validate-tls.ts'

/** What the routes need, each alone and beside the others. */
export function routeFindings(config: Config, presets: ReadonlyMap<string, Provider>): Finding[] {
  const { routes, credentials } = config
  if (routes.length === 0) return [{ path: ['routes'], message: 'at least one route is required', at: 'key' }]
  const unneeded = (name: string) => credentials[name] === undefined
  return routes.flatMap((route, index) => {
    const twin = routes.findIndex((other) => withSlash(other.path) === withSlash(route.path))
    const names = [route.credential].flat()
    const found = [
      ...pathFindings(route, twin < index ? twin : undefined),
      ...route.allowMethods.flatMap(methodFindings),
      ...route.allowPaths.flatMap(globFindings),
      ...upstreamFindings(route),
      ...referenceFindings(names, Object.keys(credentials)),
      ...headerFindings(route, names, credentials),
      ...missingHeaderFindings(
        route,
        names.filter((name) => !unneeded(name)),
        credentials,
        presets,
      ),
      ...limitFindings(route),
      ...tlsFindings(route.tls),
    ]
    return found.map((finding) => ({ ...finding, path: ['routes', index, ...finding.path] }))
  })
}

const withSlash = (path: string) => (path.endsWith('/') ? path : `${path}/`)

function pathFindings({ path }: RouteConfig, twin: number | undefined): Finding[] {
  const findings: Finding[] = []
  if (/[?#\\\s]/.test(path) || path.split('/').some((segment) => /^(\.|%2e){1,2}$/i.test(segment))) {
    findings.push({
      path: ['path'],
      message: 'must be a plain path prefix: no query, fragment, backslash, space or dot segment',
    })
  } else if (path.includes('//')) findings.push({ path: ['path'], message: 'must not hold an empty segment (//)' })
  if (twin !== undefined) findings.push({ path: ['path'], message: `is the path of routes[${twin}], too` })
  return findings
}

const forwarded = http.METHODS.filter((method) => method !== 'CONNECT' && method !== 'TRACE')

/** Methods are told apart by case, and one that Node's parser does not know never gets as far as the list. */
function methodFindings(method: string, index: number): Finding[] {
  const path = ['allowMethods', index]
  if (/^(CONNECT|TRACE)$/i.test(method)) return [{ path, message: 'CONNECT and TRACE are never forwarded' }]
  if (forwarded.includes(method)) return []
  return [{ path, message: `is not a method that can be forwarded${didYouMean(method, forwarded)}` }]
}

/** Globs that would allow more, or less, than they seem to. */
function globFindings(glob: string, index: number): Finding[] {
  const path = ['allowPaths', index]
  if (glob.startsWith('!')) {
    return [
      { path, message: 'list what is allowed: negation (!) is not supported, and everything else is refused anyway' },
    ]
  }
  if (!/^(?:\/|\*\*)/.test(glob)) return [{ path, message: 'must begin with /, as every path does' }]
  try {
    picomatch.makeRe(glob, { strictBrackets: true })
    return []
  } catch {
    return [{ path, message: 'has a bracket without its partner; with a backslash before it, it stands for itself' }]
  }
}

function upstreamFindings({ upstream, allowInsecureUpstream }: RouteConfig): Finding[] {
  const path = ['upstream']
  const url = URL.canParse(upstream) ? new URL(upstream) : undefined
  if (url === undefined || !/^https?:\/\//i.test(upstream))
    return [{ path, message: 'must be an https:// or http:// URL' }]
  if (url.username !== '' || url.password !== '') return [{ path, message: 'must not hold a user name or password' }]
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(upstream)) {
    return [{ path, message: 'must not hold a query (?) or fragment (#)' }]
  }
  if (url.protocol === 'http:' && !allowInsecureUpstream && !isLoopback(url.hostname)) {
    const message = 'http:// would send the token in clear text; use https://, or set allowInsecureUpstream: true'
    return [{ path, message }]
  }
  return []
}

function referenceFindings(names: readonly string[], known: readonly string[]): Finding[] {
  return names.flatMap((name, index): Finding[] => {
    const path = names.length === 1 ? ['credential'] : ['credential', index]
    if (names.indexOf(name) < index) return [{ path, message: 'names the same credential again' }]
    if (known.includes(name)) return []
    const which = known.length === 0 ? ' (there are none)' : didYouMean(name, known)
    return [{ path, message: `names a credential that does not exist${which}` }]
  })
}

/** Every field must have one owner: what two credentials inject under one name would overwrite each other. */
function headerFindings(route: RouteConfig, names: readonly string[], credentials: Config['credentials']): Finding[] {
  const findings: Finding[] = []
  const own = Object.keys(route.headers)
  for (const [header, value] of Object.entries(route.headers)) {
    const fault = forbiddenHeader(header)
    if (fault !== undefined) findings.push({ path: ['headers', header], message: fault, at: 'key' })
    else if (value === '') findings.push({ path: ['headers', header], message: 'has an empty value' })
  }
  const owners: { header: string; owner: string }[] = own.map((header) => ({ header, owner: "the route's headers" }))
  for (const name of new Set(names)) {
    const credential = credentials[name]
    if (credential === undefined) continue
    const injected = injectedBy(credential).filter(
      ({ token, header }) => token || !own.some((other) => sameHeader(other, header)),
    )
    for (const { header } of injected) {
      const other = owners.find((known) => sameHeader(known.header, header))
      if (other !== undefined) {
        findings.push({ path: ['credential'], message: `${name} and ${other.owner} both set the header ${header}` })
      }
      owners.push({ header, owner: name })
    }
  }
  for (const name of new Set(names)) {
    const subject = credentials[name]?.subjectHeader
    if (subject !== null && subject !== undefined && owners.some(({ header }) => sameHeader(header, subject))) {
      findings.push({ path: ['credential'], message: `the subjectHeader of ${name} is a header that is injected` })
    }
  }
  return findings
}

function injectedBy({ inject, headers }: CredentialConfig): { header: string; token: boolean }[] {
  return [{ header: inject.header, token: true }, ...Object.keys(headers).map((header) => ({ header, token: false }))]
}

/** The preset knows fields without which the API answers nothing but errors. */
function missingHeaderFindings(
  route: RouteConfig,
  names: readonly string[],
  credentials: Config['credentials'],
  presets: ReadonlyMap<string, Provider>,
): Finding[] {
  const present = [
    ...Object.keys(route.headers),
    ...names.flatMap((name) => Object.keys(credentials[name]?.headers ?? {})),
  ]
  const wanted = names.flatMap((name) =>
    Object.entries(presets.get(name)?.headers ?? {}).map((entry) => [name, ...entry] as const),
  )
  return wanted
    .filter(([, header]) => !present.some((other) => sameHeader(other, header)))
    .map(([name, header, about]): Finding => {
      const message = `the API wants the header ${header} (${about}); set it in credentials.${name}.headers`
      return { path: ['credential'], message, severity: 'warning' }
    })
}

function limitFindings({ rateLimit }: RouteConfig): Finding[] {
  if (rateLimit === null) return []
  const { perSecond, perDay } = rateLimit
  const path = ['rateLimit']
  if (perSecond === undefined && perDay === undefined) return [{ path, message: 'needs perSecond or perDay' }]
  const zero = perSecond === 0 ? 'perSecond' : perDay === 0 ? 'perDay' : undefined
  return zero === undefined ? [] : [{ path: [...path, zero], message: 'must be 1 or more' }]
}
