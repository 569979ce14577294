/** The agent at a port. Kill it while it speaks. */
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { start, supervisor } from 'keelson'
import { flows } from 'keelson/flow'
import { agentOf } from './agent.ts'
import { serverOf } from './http.ts'

const agent = agentOf({
  weather: async (place, key) => {
    console.log(`weather ${key}`)
    await pause(500)
    return `it is sunny in ${place}`
  },
  delete: async (file, key) => {
    console.log(`delete ${key}`)
    return `${file} is gone`
  },
})
const tree = supervisor('app', {}, [flows({ workflows: [agent] })])
const app = await start({ dir: 'keelson-data/agent', attach: true, app: tree })
const page = readFileSync(new URL('page.html', import.meta.url), 'utf8')
const port = Number(process.env.PORT ?? 8084)
serverOf(app, agent, page).listen(port, '127.0.0.1', () => {
  console.log(`open http://127.0.0.1:${port}/#ada`)
  console.log(`end it with: kill -9 ${process.pid}`)
})
