/**
 * `context.app` of a durable actor. Messages through it are those of the process. Its writes wait
 * until the state is durable that the handler was given: nobody may see an effect of a state that
 * can still be lost.
 */
import type { AnyContext, AppContext, Ref } from '../../runtime/index.ts'
import type { Batch } from '../store/batch.ts'
import type { Store } from '../store/store.ts'

/** Resolves when the state that the handler was given is durable. */
type Given = () => Promise<void>

/** The methods of the store that write. */
const storeWrites: ReadonlySet<PropertyKey> = new Set<keyof Store>([
  ...(['put', 'putStream', 'set', 'getSet', 'append', 'setRange', 'compareAndSet'] as const),
  ...(['delete', 'deleteMany', 'putMany', 'lock', 'extend', 'unlock'] as const),
  ...(['putField', 'putFields', 'deleteField', 'expire', 'persist', 'clear'] as const),
])

/** The methods of a kind that write, or end a process. */
const entityWrites: ReadonlySet<PropertyKey> = new Set(['delete', 'stop'])

/** The same `app` for one process, whose writes wait for `given`. */
export const appBehind = (
  app: AppContext | undefined,
  context: Pick<AnyContext, 'to'>,
  given: Given,
): AppContext | undefined =>
  app?.store === undefined
    ? app
    : {
        ...app,
        store: behind(app.store, storeWrites, given, {
          batch: () => batchBehind(app.store.batch(), given),
        }),
        registry: context.to(app.registry as Ref) as AppContext['registry'],
        entity: (kind) => {
          const handle = app.entity(kind)
          const ref = (id: string): Ref => context.to(handle.ref(id) as Ref)
          return behind(handle, entityWrites, given, { ref })
        },
      }

/** A handle whose `writes` wait for `given`, with some other methods. */
const behind = <T extends object>(
  handle: T,
  writes: ReadonlySet<PropertyKey>,
  given: Given,
  others: { readonly [method: PropertyKey]: unknown },
): T =>
  new Proxy(handle, {
    get: (target, name) => {
      if (name in others) return others[name]
      const found: unknown = Reflect.get(target, name, target)
      if (typeof found !== 'function') return found
      const method = found.bind(target) as (...args: unknown[]) => unknown
      return writes.has(name) ? (...args: unknown[]) => given().then(() => method(...args)) : method
    },
  })

const batchBehind = (batch: Batch, given: Given): Batch => {
  const commit = batch.commit.bind(batch)
  return Object.assign(batch, {
    commit: (...args: Parameters<typeof commit>) => given().then(() => commit(...args)),
  })
}
