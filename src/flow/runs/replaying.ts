/** The beginning of a life: the run is read, and its replay is watched until it is complete. */
import { LargeValue } from '../../actors/index.ts'
import { type Recorded, type RunState, valueKey } from './record.ts'
import { diverged } from './replay.ts'
import type { EndingLife } from './run-end.ts'
import { recordIn, valueIn } from './turns.ts'

/** A run as it is read. */
export type LoadedRun = {
  readonly state: RunState
  readonly record: readonly Recorded[]
  readonly input: unknown
}

/**
 * Reads a run, after every turn that is on its way, and calls `reads` in that turn. Large values
 * are read outside of it.
 */
export const loadRun = async (life: EndingLife, reads: () => void): Promise<LoadedRun> => {
  const found = await life.turn((state, { rows }) => {
    reads()
    const operations = [...recordIn(state, rows)]
    life.present.failing.begin(operations)
    const record = operations.map((each) => {
      const { outcome, number } = each
      if (outcome?.kind !== 'ok' || !outcome.isApart) return each
      const value = valueIn(rows, valueKey(state.lap, number))
      return { ...each, outcome: { ...outcome, value } }
    })
    return [{ state, record, input: valueIn(rows, 'input') }, state]
  })
  const record: Recorded[] = []
  for (const each of found.record) {
    const { outcome } = each
    const value = outcome?.kind === 'ok' ? outcome.value : undefined
    record.push(
      value instanceof LargeValue
        ? { ...each, outcome: { kind: 'ok', value: await value.load(), isApart: true } }
        : each,
    )
  }
  const { state, input } = found
  return { state, record, input: input instanceof LargeValue ? await input.load() : input }
}

/** A body that asks for nothing of its record for so long, while the loop is idle, has diverged. */
const stillMs = 5_000
const lookMs = 500

/** Watches a replay for a body that no longer asks for its record. */
export const watchReplay = async (life: EndingLife): Promise<void> => {
  const { replay } = life
  const { clock } = life.life.system
  const isOn = (): boolean => !replay.isComplete && !life.isStopped && !life.isBodyOver
  let [stillFor, seen] = [0, -1]
  while (isOn() && stillFor < stillMs) {
    const due = clock.monotonic() + lookMs
    await new Promise<void>((resolve) => void clock.after(lookMs, resolve))
    // A busy loop says nothing about the body.
    if (clock.monotonic() - due > lookMs) continue
    const isStill = replay.progress === seen && life.working === 0
    stillFor = isStill ? stillFor + lookMs : 0
    seen = replay.progress
  }
  if (!isOn()) return
  const missing = replay.missing()
  const asked = [...replay.inFlight].map(({ key }) => key)
  const text = `the body waits for ${listed(asked)}, and never asks for ${listed(missing)}`
  life.diverges(diverged(text, { missing, asked }))
}

const listed = (keys: readonly string[]): string =>
  keys.length === 0 ? 'nothing' : keys.slice(0, 10).join(', ')
