import { stringify } from 'yaml'
import type { ProviderName } from './settings.ts'
import type { Simulator } from './simulator.ts'

/** A complete bearer-sidecar config for this simulator, with a refresh token in it: it works as it is. */
export function sampleConfig(simulator: Simulator): string {
  const { provider, clientId, clientSecret } = simulator.settings
  const client = { clientId, clientSecret }
  const shape = provider in shapes ? shapes[provider] : undefined
  const config = { version: 1, ...(shape ?? ordinary)(simulator, client) }
  // Quoted throughout: ids that look like numbers must stay text.
  return stringify(config, { lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' })
}

interface Client {
  clientId: string
  clientSecret: string
}

type Shape = (simulator: Simulator, client: Client) => object

const ordinary: Shape = (simulator, client) => ({
  credentials: { simulated: credential(simulator, client) },
  routes: [{ path: '/', upstream: `${simulator.url}/`, credential: 'simulated' }],
})

function credential(simulator: Simulator, client: Client, extra: object = {}): object {
  return {
    provider: simulator.settings.provider,
    ...client,
    authorizationUrl: simulator.authorizationUrl,
    tokenUrl: simulator.tokenUrl,
    ...extra,
    refreshToken: simulator.settings.refreshToken ?? simulator.seedRefreshToken(),
  }
}

const maya: Shape = (simulator, client) => ({
  credentials: {
    partner: { provider: 'maya-partner', ...client, tokenUrl: simulator.partnerTokenUrl },
    customer: {
      provider: 'maya-customer',
      clientAuthentication: 'credential:partner',
      tokenUrl: simulator.customerTokenUrl,
      refreshToken: simulator.settings.refreshToken ?? simulator.seedRefreshToken(),
    },
  },
  routes: [{ path: '/', upstream: `${simulator.url}/`, credential: ['partner', 'customer'] }],
})

const shapes: Partial<Record<ProviderName, Shape>> = {
  'blackbaud-sky': (simulator, client) => {
    const headers = { 'Bb-Api-Subscription-Key': [...simulator.settings.subscriptionKeys] }
    return {
      credentials: { simulated: credential(simulator, client, { headers }) },
      routes: [
        {
          path: '/payments/',
          upstream: `${simulator.url}/payments/`,
          credential: 'simulated',
          headers: { 'Bb-Api-Subscription-Key': simulator.settings.paymentsKey },
        },
        { path: '/', upstream: `${simulator.url}/`, credential: 'simulated' },
      ],
    }
  },
  'constant-contact': (simulator, client) => ({
    credentials: { simulated: credential(simulator, client, { scopes: simulator.settings.scope.split(' ') }) },
    routes: [{ path: '/', upstream: `${simulator.url}/`, credential: 'simulated' }],
  }),
  highq: (simulator, client) => {
    const settings = { host: simulator.host, instance: simulator.settings.instance }
    return {
      credentials: { simulated: credential(simulator, client, { settings }) },
      routes: [{ path: '/', upstream: `${simulator.apiUrl}/`, credential: 'simulated' }],
    }
  },
  'maya-partner': maya,
  'maya-customer': maya,
}
