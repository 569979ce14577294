// What programs of tests share that serve their parent as `folder-member.mjs` does: a start from the arguments, one process alone
// or a member, and answers over messages. `programOf` gives the options of `start`; `serveOf` the requests by name.
import { folderEngine, start } from 'keelson'

export const [member, dir, members, shards] = process.argv.slice(2)

const quiet = { error: console.error, warn: () => undefined, info: () => undefined }

export const serving = async (options, serveOf) => {
  process.on('disconnect', () => process.exit())
  const cluster = members && {
    cluster: { name: 'c', member, engine: folderEngine({ members: members.split(',') }) },
  }
  const app = await start({ dir, shards: Number(shards), logger: quiet, ...cluster, ...options })
  const close = async () => {
    await app.close()
    process.disconnect()
  }
  const serve = { ...serveOf(app), close }
  process.on('message', async ({ number, what, words }) => {
    try {
      process.send({ number, value: await serve[what](words) })
    } catch (error) {
      process.send?.({ number, code: error.code ?? String(error), text: String(error.stack) })
    }
  })
  process.send({ began: true })
}
