/* Mods: scripts that nobody vouches for. Each decides for some of the agents what the network's answers come to. */
#ifndef CORNU_HOSTS_MODS_H
#define CORNU_HOSTS_MODS_H

#include "cornu.h"
#include "world.h"

enum { MODS = 5 };

typedef struct mods mods;

mods *mods_open(const char *folder, cornu_error *e); /* NULL: the error tells why */
void mods_close(mods *m);
/* Agents do what the network finds best, unless their mod decides otherwise. A mod that fails, or takes too long, or
 * wants too much memory, is told on the terminal and not called any more. Returns how many were stopped now. */
int mods_frame(mods *m, agent *agents, const float *turns);
int mod_of(int number); /* 0 … MODS-1 */

#endif
