// A member of a folder whose entities and workflows may end its process at once, by themselves. The built package.
import { call, entity, folderEngine, reply, start, supervisor } from 'keelson'
import { flow, flows, workflow } from 'keelson/flow'

const [member, dir, members, shards] = process.argv.slice(2)

const boom = () => process.kill(process.pid, 'SIGKILL')

const bomb = {
  init: () => 'whole',
  calls: {
    alarm: (state, _, context) => {
      context.setAlarm('boom', { inMs: 0 })
      return reply('armed', state)
    },
    step: (state) => reply('armed', state, { continue: ['boom'] }),
    look: (state) => reply(state, state),
  },
  continues: { boom },
  alarms: { boom },
}
const doomed = workflow('doomed', async (ctx) => ctx.step('boom', boom))

let app
const patiently = { timeoutMs: 30_000 }
const bombOf = (id) => app.entity('bomb').ref(id)
const serve = {
  arm: ([id, how]) =>
    how === 'flow'
      ? flow(app)
          .start(doomed, undefined, { id })
          .then(() => 'armed')
      : call(bombOf(id), how, undefined, { ...patiently, id: `arm ${id}` }),
  look: ([id]) => call(bombOf(id), 'look', undefined, patiently),
  parked: () => [...app.entity('bomb').blocked()].map(([id, { details }]) => ({ id, details })),
  runs: () => app.health().parts?.flow,
  shards: () =>
    app
      .health()
      .shards.filter(({ phase }) => phase === 'open')
      .map(({ shard }) => shard),
}

process.on('message', async ({ number, what, words }) => {
  try {
    process.send({ number, value: await serve[what](words) })
  } catch (error) {
    process.send?.({ number, code: error.code ?? String(error) })
  }
})
process.on('disconnect', () => process.exit())

const lines = []
const note = (line) => void lines.push(String(line))
const quiet = { error: note, warn: note, info: () => undefined }
serve.lines = () => lines
app = await start({
  ...{ dir, shards: Number(shards), logger: quiet },
  app: supervisor('app', {}, [entity('bomb', bomb), flows({ workflows: [doomed] })]),
  cluster: { name: 'c', member, engine: folderEngine({ members: members.split(',') }) },
})
process.send({ began: true })
