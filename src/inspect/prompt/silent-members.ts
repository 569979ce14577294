/** Words that wait for all members end when one of them does not answer, and name it. Apart, as several words wait. */
import { passed } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { App } from '../../supervisors/index.ts'
import { shardsHealth } from '../answers/member-looks.ts'

/** So often the members are asked while a word waits, in ms. */
const askMs = 5_000

/**
 * The answer of `work`. It goes on if this ends before.
 * @throws KeelsonError `TIMEOUT` with the members that have not answered two questions in a row
 */
export const unlessSilent = async <T>(app: App, what: string, work: Promise<T>): Promise<T> => {
  if (app.health().members.length === 0) return work
  let isOver = false
  const over = work.finally(() => {
    isOver = true
  })
  over.catch(() => undefined)
  const watched = async (): Promise<T> => {
    let before: ReadonlySet<string> = new Set()
    for (;;) {
      await passed(app.system.clock, askMs)
      if (isOver) return over
      const { silent } = await shardsHealth(app)
      const lasting = silent.filter(({ member }) => before.has(member))
      if (!isOver && lasting.length > 0) throw waitsFor(what, lasting)
      before = new Set(silent.map(({ member }) => member))
    }
  }
  return Promise.race([over, watched()])
}

const waitsFor = (what: string, silent: readonly { readonly member: string }[]): KeelsonError => {
  const members = silent.map(({ member }) => member)
  const text = `${what} waits for ${members.join(', ')}, which does not answer; it continues when that does`
  return new KeelsonError('TIMEOUT', text, { details: { members } })
}
