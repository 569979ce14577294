/** A server for threads that lets its secrets be shown nowhere. */
import { exit, noReply, reply } from 'keelson'

export default {
  init: () => ({ password: 'hunter2' }),
  calls: {
    login: (_, password) => exit(['wrong', password]),
    spin: () => {
      for (;;);
    },
    get: (state) => reply(state.password, state),
  },
  casts: { set: (state, password) => noReply({ ...state, password }) },
  formatStatus: () => ({ state: 'hidden', reason: 'wrong password' }),
}
