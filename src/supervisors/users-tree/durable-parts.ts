/**
 * The durable parts of a tree: `entity`, a kind of durable actors, and durable workers. Their
 * starters come from the instance through `context.app`: so a tree loads no storage, and a start
 * waits for no `import()`, which takes real time on a virtual clock.
 */

import type {
  DurableMessages,
  DurableServer,
  Entities,
  EntityHandle,
  EntityKind,
  EntityOptions,
  Fields,
  InstanceStreams,
  startDurableWorker,
  startKind,
} from '../../actors/index.ts'
import { config, noMore } from '../../check.ts'
import { configError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { AnyContext, ChildSpec } from '../../runtime/index.ts'
import {
  type AppModule,
  type AppWorker,
  entityOptions,
  type ModuleSpec,
  serverOf,
} from './app-tree.ts'
import { serverOnce } from './module-loader.ts'
import { checkDurableServer } from './server-check.ts'

/** The key of the `DurableActors` in `context.app`, which is for the project's own code. */
export const durableActors = Symbol('durable actors')

/** The durable actors of an instance, and what starts them. */
export type DurableActors = {
  readonly entities: Entities
  readonly startKind: typeof startKind
  readonly startDurableWorker: typeof startDurableWorker
  /** The streams of the instance. */
  readonly streams: () => InstanceStreams
  /** A kind of entities whose lists are of these shards alone. */
  readonly entityIn: (kind: string, shards: Entities['shards']) => EntityHandle
}

/** Those of the instance that a context belongs to. @throws KeelsonError `CONFIG` */
const durableActorsIn = ({ app }: Pick<AnyContext, 'app'>): DurableActors => {
  const found = (app as { readonly [durableActors]?: DurableActors } | undefined)?.[durableActors]
  if (found) return found
  throw new KeelsonError('CONFIG', 'a durable actor needs an instance: start it in the tree of one')
}

/** The server of a kind: its module's path, such a module, or the server itself. */
export type EntityModule<M extends DurableMessages, S, F extends Fields, App> =
  | string
  | DurableServer<M, S, F, string, App>
  | { readonly server: DurableServer<M, S, F, string, App> }

/**
 * A kind of durable actors, one for each id. `app.entity(kind).ref(id)` is the ref of one; the
 * first message starts it from its row, and without messages it rests. At most one lives per id.
 * The kind is a part of the tree of an instance: its process ends its entities with itself.
 * @throws KeelsonError `CONFIG` for a kind that is not `[a-z][\w-]*`, or wrong options
 */
export const entity = <M extends DurableMessages, S, F extends Fields, App>(
  kind: string,
  module: EntityModule<M, S, F, App>,
  options: EntityOptions = noOptions,
  ...surplus: []
): ChildSpec & EntityKind<M, S, F> => {
  noMore(surplus, 'entity(kind, server, { keepMs, … })')
  if (typeof kind !== 'string' || !/^[a-z][\w-]{0,63}$/.test(kind))
    throw configError('kind', 'a small letter, then letters, digits, _ and -', kind)
  return kindSpec(kind, module, options)
}

/** As `entity`, also for the kinds of the project's own code, which begin with a `$`. */
export const kindSpec = <M extends DurableMessages, S, F extends Fields, App>(
  kind: string,
  module: EntityModule<M, S, F, App>,
  options: EntityOptions = noOptions,
): ChildSpec & EntityKind<M, S, F> => {
  entityOptions(options, config(kind))
  const path = `${kind}.module`
  const given = typeof module === 'string' ? undefined : checkedServer(serverOf(module), path)
  const loaded = serverOnce(String(module), path)
  const start: ChildSpec['start'] = async (context) => {
    const { entities, startKind } = durableActorsIn(context)
    const server = given ?? checkedServer(await loaded(), path)
    return startKind(entities, context, kind, server, options)
  }
  const withModule = (other: AppModule): ChildSpec =>
    kindSpec(kind, other as EntityModule<M, S, F, App>, options)
  return {
    id: kind,
    start,
    shutdown: 'infinity',
    kind: 'supervisor',
    module,
    withModule,
    [kindOptions]: options,
  } as ModuleSpec
}

/** The key of the options of a kind in its specification. */
const kindOptions = Symbol('the options of a kind')

/** The options of a kind by which a rehearsal judges its actors. */
export type KindTerms = {
  readonly keepMs?: number | undefined
  readonly record?: EntityOptions['record'] | undefined
}

/** The declaration of a specification, if it is one of a kind whose module is loaded. */
export const declaredKind = (
  spec: ChildSpec & { readonly module?: unknown; readonly [kindOptions]?: EntityOptions },
): ({ readonly server: object } & Required<KindTerms>) | undefined => {
  const { module, [kindOptions]: options } = spec
  const server = options && serverOf(module)
  return server && { server, keepMs: options.keepMs, record: options.record }
}

const checkedServer = (server: object | undefined, path: string): object => {
  if (server === undefined)
    throw configError(path, 'a server, which has `init`, or a module that exports one', 'none')
  checkDurableServer(server, path)
  return server
}

/** The specification of a durable worker with this server. Its options say that it is durable. */
export const durableWorkerSpec = (
  { id, options }: AppWorker,
  server: object,
  mailboxMaxDefault: number | undefined,
): ChildSpec => {
  const { arg, durable, restart, shutdown, shutdownMs, significant, handlerTimeoutMs } = options
  const { mailboxMax = mailboxMaxDefault } = options
  // That of a module is known only now.
  checkDurableServer(server, `${id}.module`)
  // Checked: its name is no `via`.
  const registered = (options.name ?? id) as string
  const start: ChildSpec['start'] = async (context) => {
    const { entities, startDurableWorker } = durableActorsIn(context)
    return startDurableWorker(entities, context, registered, server, arg, spec, {
      ...(mailboxMax === undefined ? {} : { mailboxMax }),
      ...(typeof durable === 'object' ? durable : {}),
      ...(handlerTimeoutMs === undefined ? {} : { handlerTimeoutMs }),
      label: registered,
    })
  }
  const spec = {
    id,
    start,
    restart,
    significant,
    shutdown: shutdown ?? shutdownMs,
  } as ChildSpec
  return spec
}
