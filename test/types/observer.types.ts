/** Compiled, never run: what the types of `keelson/observer` let through, and what they refuse. */
import { createServer } from 'node:http'
import { type AppContext, start } from '../../src/index.ts'
import { observer } from '../../src/inspect/page-server/observer.ts'

const app = await start({ dir: 'data' })
const observe = observer(app, { authorize: async ({ headers }) => headers.cookie === 'x' && 'ann' })
createServer((request, response) => {
  const isOwn: boolean = observe(request, response)
  if (!isOwn) response.end()
})

declare const context: { readonly app: AppContext }
observer(context.app, { authorize: () => true, write: true, path: '/' })

// @ts-expect-error a decision about requests is needed
observer(app, {})
// @ts-expect-error a number is no decision
observer(app, { authorize: () => 1 })
// @ts-expect-error `write` is a boolean
observer(app, { authorize: () => true, write: 'ann' })
// @ts-expect-error an option that does not exist
observer(app, { authorize: () => true, port: 80 })
