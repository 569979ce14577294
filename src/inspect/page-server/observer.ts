/**
 * `keelson/observer`: the page of `keelson observe` as a part of a service's own HTTP server, for
 * containers and for hosts with a login of their own.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { argument, noMore, readOptions } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import { type App, type AppContext, durableActors, innerParts } from '../../supervisors/index.ts'
import { answerPages, Observer } from '../observe/observer.ts'
import { answerIn } from '../observe/questions.ts'
import { builtPage } from './built-page.ts'
import { PageServer, type Source } from './page-server.ts'

/** The options of `observer`. */
export type ObserverOptions = {
  /**
   * Decides about each request, also that of the page itself: the name of the user for the log, or
   * `true` for a user without a name. Anything else, and a throw, refuses it with 401. It is asked
   * again each minute for a page that is open. It must look at something that a browser sends to
   * this host alone, such as a cookie: an address is not enough, because a page of another site can
   * have its name resolved to this host.
   */
  readonly authorize: (
    request: IncomingMessage,
  ) => string | boolean | undefined | Promise<string | boolean | undefined>
  /** Whether the page may act; false. */
  readonly write?: boolean | undefined
  /** The path of the page, `/observe` by default; `/` for a server that has nothing else. */
  readonly path?: string | undefined
}

/** Answers a request, and returns true; false for a path that is not its own. */
export type ObserverHandler = (request: IncomingMessage, response: ServerResponse) => boolean

/**
 * Answers requests of the page of an instance. The flight recorder begins with this call, and
 * measurements with the first question of a page. `app`: the result of `start`, or `context.app`.
 * @throws KeelsonError `INVALID_ARGUMENT`, also without `authorize`
 */
export const observer = (
  app: AppContext,
  options: ObserverOptions,
  ...surplus: []
): ObserverHandler => {
  noMore(surplus, 'observer(app, { … })')
  const parts = app?.[innerParts]
  if (!parts) throw invalidArgument('app', 'what start resolves with, or context.app', app)
  const known = ['authorize', 'write', 'path']
  const checked = readOptions(options, known, argument('', 'observer'))
  const { authorize, write = false, path = '/observe' } = checked
  if (typeof authorize !== 'function')
    throw invalidArgument('authorize', 'a function that decides about a request', authorize)
  if (typeof write !== 'boolean') throw invalidArgument('write', 'a boolean', write)
  if (typeof path !== 'string' || !/^(\/|(\/[\w.-]+)+)$/.test(path))
    throw invalidArgument('path', 'a path such as /observe', path)
  const page = new PageServer({
    source: sourceIn(app, parts, write),
    clock: parts.system.clock,
    page: builtPage(),
    isWriting: write,
    port: () => undefined,
    admits: async (request) => authorize(request),
  })
  parts.ending.addEventListener('abort', () => page.close(), { once: true })
  const prefix = path === '/' ? '' : path
  return (request, response) => {
    const url = request.url ?? '/'
    const [asked = ''] = url.split('?')
    if (prefix !== '' && asked === prefix) return redirect(request, response, prefix)
    if (!asked.startsWith(`${prefix}/`)) return false
    void page.handle(request, response, url.slice(prefix.length))
    return true
  }
}

/** The page asks relative to its address, which ends with a slash. */
const redirect = ({ url = '' }: IncomingMessage, response: ServerResponse, path: string): true => {
  const own = path.slice(path.lastIndexOf('/') + 1)
  response.writeHead(308, {
    location: `${own}/${url.slice(path.length)}`,
    'cache-control': 'no-store',
  })
  response.end()
  return true
}

/** The instance in this process. */
const sourceIn = (
  app: AppContext,
  parts: AppContext[typeof innerParts],
  write: boolean,
): Source => {
  const { system, shards, ending } = parts
  const { entities } = app[durableActors]
  const whole = { ...app, system, shards, entities } as unknown as App
  const own = new Observer(whole, { isWriting: write, user: 'a user' })
  answerPages(whole)
  let endedAt: number | undefined
  ending.addEventListener('abort', () => {
    endedAt = system.clock.now()
    own.end()
  })
  return {
    get away() {
      return endedAt === undefined
        ? undefined
        : { since: endedAt, reason: 'the instance has ended' }
    },
    ask: async (request, user) => answerIn(await own.answer({ id: 0, ...request }, user)),
  }
}
