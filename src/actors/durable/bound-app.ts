/**
 * `context.app` of a durable actor. Its writes wait until the state is durable that the handler was
 * given: nobody may see an effect of a state that can still be lost.
 */
import type { AppContext } from '../../runtime/index.ts'
import type { Batch } from '../store/batch.ts'
import type { Store } from '../store/store.ts'

/** The methods of the store that write. */
const writing: ReadonlySet<PropertyKey> = new Set<keyof Store>([
  ...(['put', 'putStream', 'set', 'getSet', 'append', 'setRange', 'compareAndSet'] as const),
  ...(['delete', 'deleteMany', 'putMany', 'lock', 'extend', 'unlock'] as const),
  ...(['putField', 'putFields', 'deleteField', 'expire', 'persist', 'clear'] as const),
])

/** The same `app`, whose store writes behind `given`. */
export const appBehind = (
  app: AppContext | undefined,
  given: () => Promise<void>,
): AppContext | undefined =>
  app?.store === undefined ? app : { ...app, store: storeBehind(app.store, given) }

const storeBehind = (store: Store, given: () => Promise<void>): Store =>
  new Proxy(store, {
    get: (target, name) => {
      const found: unknown = Reflect.get(target, name, target)
      if (typeof found !== 'function') return found
      const method = found.bind(target) as (...args: unknown[]) => unknown
      if (name === 'batch') return () => batchBehind(method() as Batch, given)
      return writing.has(name)
        ? (...args: unknown[]) => given().then(() => method(...args))
        : method
    },
  })

const batchBehind = (batch: Batch, given: () => Promise<void>): Batch => {
  const commit = batch.commit.bind(batch)
  return Object.assign(batch, {
    commit: (...args: Parameters<typeof commit>) => given().then(() => commit(...args)),
  })
}
