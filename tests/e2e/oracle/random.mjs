// A seeded generator: every actor of the oracle has one of its own, so that a seed repeats each actor's choices.
import { random } from '../lib.mjs'

export function seeded(seed) {
  const next = random(seed)
  return {
    next,
    int: (below) => Math.floor(next() * below),
    chance: (p) => next() < p,
    pick: (list) => list[Math.floor(next() * list.length)],
    /** The first ones far more often than the last. */
    favourite: (list) => list[Math.floor(next() ** 3 * list.length)],
    fork: () => seeded(Math.floor(next() * 4294967296)),
  }
}

export { setTimeout as sleep } from 'node:timers/promises'
