import type { Provider } from './provider.ts'

export const generic: Provider = {
  name: 'generic',
  title: 'Any OAuth 2.0 provider',
  documentation: 'https://www.rfc-editor.org/rfc/rfc6749',
  status: 'tested against the simulator',
  settings: {},
  headers: {},
  neededScopes: [],
  rewriteLinks: false,
  limits: [],
  notes: [
    'Give authorizationUrl, tokenUrl, clientAuthentication and scopes as the provider documents them.',
    'A 401 whose body holds "errors": or speaks of a subscription key is passed on without a refresh. Where expired tokens are answered that way, set refresh.on: [{ status: 401 }].',
  ],
  credential: {},
}
