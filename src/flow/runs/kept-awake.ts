/**
 * A process that keeps one entity awake, from the start of its tree on. It holds a call that the
 * entity never answers. The call fails when the process of the entity ends, and is made again.
 */
import { backoffMs } from '../../clock.ts'
import { type BareContext, type ChildSpec, call } from '../../runtime/index.ts'
import type { AppContext } from '../../supervisors/index.ts'

/** The messages of an entity that is kept awake. */
type Stays = { readonly calls: { readonly stay: () => void } }

const pauses = { baseMs: 100, maxMs: 10_000 }

/** A call that has lasted so long was answered by a sound process: its end is the first failure. */
const soundMs = 60_000

/** The process that keeps the entity of this kind and id awake. */
export const keptAwake = (kind: string, id: string): ChildSpec => ({
  id: `${kind}-awake`,
  start: (context) => {
    const ref = context.spawnLink((own) => stays(own as never, kind, id), {
      label: `what keeps ${kind}/${id} awake`,
    })
    return { ok: true, ref: ref as never }
  },
})

const stays = async (own: BareContext<Stays, AppContext>, kind: string, id: string) => {
  const ref = own.to(own.app.entity<Stays>(kind).ref(id) as never) as never
  for (let failures = 0; ; ) {
    const since = own.system.clock.monotonic()
    try {
      await call<Stays, 'stay'>(ref, 'stay', undefined, { timeoutMs: Number.POSITIVE_INFINITY })
    } catch {
      const isSound = own.system.clock.monotonic() - since >= soundMs
      failures = isSound ? 1 : failures + 1
      await own.sleep(backoffMs(pauses, failures))
    }
  }
}
