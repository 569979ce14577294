/**
 * Orders to players in turns. The order of the rows changes from turn to turn. The first turn does not count: it is six times as
 * long, until the code of a player is compiled.
 */

/** Answers of each row of `{ player, order }` what its player answered in each turn. */
export const race = async (rows, players, { turns, seconds }) => {
  const figures = rows.map(() => [])
  for (let at = 0; at <= turns; at++)
    for (let step = 0; step < rows.length; step++) {
      const index = (at + step) % rows.length
      const { player, order } = rows[index]
      const answer = await players[player].ask({
        kind: 'turn',
        ...order,
        seconds: at > 0 ? seconds : 6 * seconds,
      })
      if (at > 0) figures[index].push(answer)
    }
  return figures
}
