/** A server for threads without `formatStatus`, whose state and payloads have secrets. */
import { exit, reply } from 'keelson'

export default {
  init: () => ({ user: 'ada', password: 'hunter2' }),
  calls: {
    login: (_, payload) => exit(['wrong', payload]),
    get: (state) => reply(state, state),
  },
}
