// An HTTP server with a login in a cookie, and below /admin/observe/ the page of its instance in DIR,
// with `write` for acting. A line of its input ends every login.
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { start, supervisor, worker } from 'keelson'
import { observer } from 'keelson/observer'

const [dir, mode] = process.argv.slice(2)
const idle = { init: () => null, infos: {} }
const logger = { info: () => undefined, warn: () => undefined, error: () => undefined }
const app = await start({ dir, logger, app: supervisor('app', {}, [worker('idle', idle)]) })
const sessions = new Map([['s3cr3t', 'ann']])
const observe = observer(app, {
  ...{ path: '/admin/observe', write: mode === 'write' },
  authorize: ({ headers }) => sessions.get(/session=(\w+)/.exec(headers.cookie ?? '')?.[1] ?? ''),
})
const server = createServer((request, response) => {
  if (!observe(request, response)) response.writeHead(404).end()
})
server.listen(0, '127.0.0.1', () => console.log(`ready on ${server.address().port}.`))
createInterface({ input: process.stdin }).on('line', () => sessions.clear())
