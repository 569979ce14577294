// Calls one entity with the ids 0 to COUNT - 1, 64 at a time, and reports each reply on pipe 3 as
// `ID REPLY`. In the end it reports `total STATE`.
import { writeSync } from 'node:fs'
import { call, entity, ok, reply, start, supervisor } from 'keelson'

const [dir, countText] = process.argv.slice(2)
const tally = entity('tally', {
  init: () => ok(0),
  calls: { add: (total) => reply(total + 1, total + 1) },
})

const app = await start({ dir, app: supervisor('app', {}, [tally]) })
const ref = app.entity(tally).ref('one')
let next = 0
const caller = async () => {
  for (let id = next++; id < Number(countText); id = next++)
    writeSync(3, `${id} ${await call(ref, 'add', undefined, { id: `${id}`, timeoutMs: 30_000 })}\n`)
}
await Promise.all(Array.from({ length: 64 }, caller))
writeSync(3, `total ${app.entity(tally).state('one')}\n`)
await app.close()
