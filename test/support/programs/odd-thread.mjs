/** A server for threads that fails with every odd error. */
import { parentPort } from 'node:worker_threads'
import { exit, noReply, reply, stop } from 'keelson'
import { oddErrors } from '../odd-errors.mjs'

export default {
  init: (way) => {
    if (way?.throws !== undefined) throw oddErrors[way.throws]()
    return way?.stops === undefined ? [] : stop(oddErrors[way.stops]())
  },
  calls: {
    later: (waiting, _, { from }) => noReply([...waiting, from]),
    answer: (waiting) => {
      for (const from of waiting) from.reply('later')
      return reply('answered', [])
    },
    fail: (waiting, name, { from }) => {
      from.fail(oddErrors[name]())
      return noReply(waiting)
    },
    posts: (waiting, message) => {
      parentPort.postMessage(message)
      return reply('posted', waiting)
    },
    ends: (_, name) => exit(oddErrors[name]()),
    throws: (_, name) => {
      throw oddErrors[name]()
    },
  },
}
