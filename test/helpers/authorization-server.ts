import { generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

/** What the tests use of oidc-provider, which comes without types. */
interface Provider {
  callback(): RequestListener
  interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>
  interactionFinished(
    request: IncomingMessage,
    response: ServerResponse,
    result: object,
    options: object,
  ): Promise<void>
  on(event: string, listener: () => void): void
  readonly Grant: new (properties: object) => { addOIDCScope(scope: string): void; save(): Promise<string> }
}

interface Interaction {
  readonly prompt: { readonly name: string }
  readonly params: { readonly client_id: string; readonly scope: string }
  readonly session?: { readonly accountId: string }
}

type ProviderClass = new (issuer: string, configuration: object) => Provider

/** A real authorization server with rotating refresh tokens, which revokes a grant whose refresh token is presented twice. */
export class AuthorizationServer {
  readonly clientId = 'sidecar'
  readonly clientSecret = 'a/secret+with=signs and space'
  readonly redirectUri = 'http://localhost:9090/callback'
  readonly issuer: string
  /** Grants that were revoked: the server saw a refresh token twice. */
  revoked = 0
  readonly #provider: Provider

  private constructor(issuer: string, provider: Provider) {
    this.issuer = issuer
    this.#provider = provider
    provider.on('grant.revoked', () => this.revoked++)
  }

  /** `accessTokenLife` in seconds. */
  static async start(t: Pick<TestContext, 'after'>, accessTokenLife: number): Promise<AuthorizationServer> {
    // @ts-expect-error -- comes without types; the interface above is what is used of it
    const { default: Provider } = (await import('oidc-provider')) as { default: ProviderClass }
    const late: { server?: AuthorizationServer } = {}
    const http = createServer((request, response) => {
      if (request.url?.startsWith('/interaction/') === true) void late.server?.interact(request, response)
      else late.server?.listener(request, response)
    })
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    t.after(() => {
      http.closeAllConnections()
      http.close()
    })
    const issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const server: AuthorizationServer = new AuthorizationServer(
      issuer,
      new Provider(issuer, {
        clients: [
          {
            client_id: 'sidecar',
            client_secret: 'a/secret+with=signs and space',
            redirect_uris: ['http://localhost:9090/callback'],
            grant_types: ['authorization_code', 'refresh_token'],
            response_types: ['code'],
            token_endpoint_auth_method: 'client_secret_basic',
          },
        ],
        jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' }] },
        cookies: { keys: ['a key of the tests'] },
        features: { devInteractions: { enabled: false } },
        interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
        findAccount: (_: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
        rotateRefreshToken: () => true,
        ttl: { AccessToken: accessTokenLife, RefreshToken: 86_400, Grant: 86_400, Interaction: 600, Session: 600, IdToken: 600 }, // prettier-ignore
      }),
    )
    late.server = server
    return server
  }

  get listener(): RequestListener {
    return this.#provider.callback()
  }

  /** A person who logs in and consents to everything. */
  async interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt, params, session } = await this.#provider.interactionDetails(request, response)
    const finish = (result: object) =>
      this.#provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true })
    if (prompt.name === 'login') return finish({ login: { accountId: 'anna' } })
    const grant = new this.#provider.Grant({ accountId: session?.accountId, clientId: params.client_id })
    grant.addOIDCScope(params.scope)
    return finish({ consent: { grantId: await grant.save() } })
  }

  /** Opens the authorization request as a browser would, and gives the URL that it ends at: our callback. */
  async logIn(authorizationUrl: string): Promise<URL> {
    const cookies = new Map<string, string>()
    let url = new URL(authorizationUrl)
    for (let step = 0; step < 10; step++) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const response = await fetch(url, { redirect: 'manual', headers: { cookie } })
      for (const line of response.headers.getSetCookie()) {
        const [pair = ''] = line.split(';')
        cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
      }
      const location = response.headers.get('location')
      if (location === null) throw new Error(`the login stopped with ${response.status}: ${await response.text()}`)
      url = new URL(location, url)
      if (url.href.startsWith(this.redirectUri)) return url
    }
    throw new Error('the login went round in a circle')
  }
}
