/** The chat at a port. Kill it while people talk. */
import { readFileSync } from 'node:fs'
import { start } from 'keelson'
import { tree } from './chat.ts'
import { serverOf } from './http.ts'

const app = await start({ dir: 'keelson-data/chat', attach: true, app: tree })
const page = readFileSync(new URL('page.html', import.meta.url), 'utf8')
const port = Number(process.env.PORT ?? 8082)
serverOf(app, page).listen(port, '127.0.0.1', () => {
  console.log(`open http://127.0.0.1:${port}/?name=Ada, and the same for Bob`)
  console.log(`end it with: kill -9 ${process.pid}`)
})
