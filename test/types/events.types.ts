/** The event bus: the payload is that of the event's name, and no other name compiles. */
import type { App, SystemEvents } from '../../src/index.ts'

export const events = (app: App): void => {
  app.events.on('wal.commit', ({ frames, syncMs, shard }) => {
    const sum: number = frames + syncMs + shard
    // @ts-expect-error: it is a number
    const text: string = frames
    return [sum, text]
  })
  app.events.once('turn.done', ({ result }) => {
    if (result === 'ok' || result === 'NO_SPACE') return
    // @ts-expect-error: there is no such code
    if (result === 'NOT_ENOUGH') return
  })
  app.system.events.on('call.done', (event) => event.tookMs.toFixed())
  // @ts-expect-error: there is no such event
  app.events.on('wal.comit', () => undefined)
  // @ts-expect-error: it has no such fact
  app.events.on('wal.commit', ({ rows }) => rows)
  // @ts-expect-error: the event of a process has no shard
  const handler: SystemEvents['call.done'] = ({ shard }) => shard
  app.events.off('call.done', handler)
}
