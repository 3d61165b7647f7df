import type { Simulator } from '../simulator/simulator.ts'

export const demoProviders = ['blackbaud-sky', 'constant-contact', 'highq', 'maya-customer', 'generic'] as const
export type DemoProvider = (typeof demoProviders)[number]

/** A path of each simulated API that answers with the request it received. */
export const echoPaths: Readonly<Record<DemoProvider, string>> = {
  'blackbaud-sky': '/echo',
  'constant-contact': '/v3/echo',
  highq: '/api/1/echo',
  'maya-customer': '/echo',
  generic: '/echo',
}

/** The config file that a user would write for this provider, with the simulator's addresses in place of the provider's. */
export function demoConfig(provider: DemoProvider, simulator: Simulator): object {
  const { clientId, clientSecret } = simulator.settings
  const endpoints = {
    ...(simulator.authorizationUrl !== undefined && { authorizationUrl: simulator.authorizationUrl }),
    tokenUrl: simulator.tokenUrl,
  }
  const login = { clientId, clientSecret, ...endpoints, refreshToken: '${DEMO_REFRESH_TOKEN}' }
  return {
    version: 1,
    proxy: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0' },
    store: { directory: './tokens' },
    ...credentialsAndRoute(provider, simulator, login),
  }
}

function credentialsAndRoute(provider: DemoProvider, simulator: Simulator, login: object): object {
  const { settings, url } = simulator
  switch (provider) {
    case 'blackbaud-sky': {
      const headers = { 'Bb-Api-Subscription-Key': settings.subscriptionKeys }
      return {
        credentials: { demo: { provider, headers, ...login } },
        routes: [{ path: '/', upstream: url, credential: 'demo' }],
      }
    }
    case 'highq': {
      const values = { host: new URL(url).host, instance: settings.instance }
      return {
        credentials: { demo: { provider, settings: values, ...login } },
        routes: [{ path: '/', upstream: simulator.apiUrl, credential: 'demo' }],
      }
    }
    case 'constant-contact':
    case 'generic':
      return {
        credentials: { demo: { provider, ...login } },
        routes: [{ path: '/', upstream: url, credential: 'demo' }],
      }
    case 'maya-customer': {
      const { clientId, clientSecret } = settings
      const partner = { provider: 'maya-partner', clientId, clientSecret, tokenUrl: simulator.partnerTokenUrl }
      const customer = { provider, tokenUrl: simulator.customerTokenUrl, clientAuthentication: 'credential:partner' }
      const route = {
        path: '/',
        upstream: url,
        credential: ['partner', 'customer'],
        headers: { 'Request-Reference-No': '{uuid}' },
      }
      return { credentials: { partner, customer }, routes: [route] }
    }
  }
}
