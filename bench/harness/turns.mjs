/** Orders to players in turns. The order of the rows changes from turn to turn, and the first turn warms up. */

/** Answers of each row of `{ player, order }` what its player answered in each turn. */
export const race = async (rows, players, { turns, seconds }) => {
  const figures = rows.map(() => [])
  for (let at = 0; at <= turns; at++)
    for (let step = 0; step < rows.length; step++) {
      const index = (at + step) % rows.length
      const { player, order } = rows[index]
      const answer = await players[player].ask({ kind: 'turn', ...order, seconds })
      if (at > 0) figures[index].push(answer)
    }
  return figures
}
