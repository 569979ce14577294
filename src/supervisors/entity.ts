/** `entity`: a kind of durable actors as a part of a tree. */
import type {
  DurableMessages,
  DurableServer,
  EntityKind,
  EntityOptions,
  Fields,
} from '../actors/index.ts'
import { configError } from '../errors.ts'
import type { ChildSpec } from '../runtime/index.ts'
import { type AppModule, checkDurable, type ModuleSpec, serverOf } from './app-tree.ts'
import { checkDurableServer } from './durable-server-check.ts'
import { loadedServer } from './module-loader.ts'

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
  options: EntityOptions = {},
): ChildSpec & EntityKind<M, S, F> => {
  if (typeof kind !== 'string' || !/^[a-z][\w-]{0,63}$/.test(kind))
    throw configError('kind', 'a small letter, then letters, digits, _ and -', kind)
  checkDurable(options, kind, ['idleMs', 'handlerTimeoutMs'])
  const path = `${kind}.module`
  const given = typeof module === 'string' ? undefined : checkedServer(serverOf(module), path)
  const start: ChildSpec['start'] = async (context) => {
    const { startKind } = await import('../actors/index.ts')
    const server = given ?? checkedServer(await loadedServer(String(module), path), path)
    return startKind(context, kind, server, options)
  }
  const withModule = (other: AppModule): ChildSpec =>
    entity(kind, other as EntityModule<M, S, F, App>, options)
  return {
    id: kind,
    start,
    shutdown: 'infinity',
    kind: 'supervisor',
    module,
    withModule,
  } as ModuleSpec
}

const checkedServer = (server: object | undefined, path: string): object => {
  if (server === undefined)
    throw configError(path, 'a server, or a module that exports one', 'none')
  checkDurableServer(server, path)
  return server
}
