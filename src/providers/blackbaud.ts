import type { Provider } from './provider.ts'

export const blackbaudSky: Provider = {
  name: 'blackbaud-sky',
  title: 'Blackbaud SKY API and Payments API',
  documentation: 'https://developer.blackbaud.com/skyapi/docs/authorization',
  status: 'tested against the simulator',
  upstream: 'https://api.sky.blackbaud.com',
  settings: {},
  headers: {
    'Bb-Api-Subscription-Key':
      "the primary and secondary key of your subscription, from the developer portal; the Payments API has a key of its own, which goes into the /payments/ route's headers",
  },
  neededScopes: [],
  rewriteLinks: true,
  limits: [{ plan: 'Standard subscription', perSecond: 10, perDay: 25_000 }],
  notes: [
    'An administrator of the customer environment must connect the application before anyone can log in.',
    'The redirect URI must equal a registered one to the last character; PKCE must be enabled on the application.',
    'Refresh tokens live 365 days. Ordinary refreshes ask the provider to keep them; one deliberate rotation happens 60 days before the end.',
    'A 401 can also mean a bad subscription key or a missing role; neither is refreshed. A used up quota is a 403 with Retry-After.',
  ],
  credential: {
    authorizationUrl: 'https://oauth2.sky.blackbaud.com/authorization',
    tokenUrl: 'https://oauth2.sky.blackbaud.com/token',
    clientAuthentication: 'basic-raw',
    pkce: true,
    refresh: {
      preserveRefreshToken: true,
      renewBefore: '60d',
      on: [{ status: 401, unlessBody: ['subscription key', '"errors":'] }],
    },
    keyRejected: [{ status: 401, onlyBody: ['subscription key'] }],
  },
}
