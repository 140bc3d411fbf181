import type { FleetView } from '../../../model/rollout-view.js';
import { useNow } from '../live/hooks.js';
import { Section, Table } from '../parts/layout.js';
import { Ago } from '../parts/moments.js';
import { Chip, Foreign } from '../parts/signs.js';
import { countText } from '../words/numbers.js';

/** A process that has not been in contact for so long is marked. */
const SILENT_MS = 60_000;

/** Each process of the fleet, the leader first; of a large one, how many there are of each kind, and the most silent ones. */
export function ProcessSection({ fleet: { processes, groups } }: { fleet: FleetView }) {
  const now = useNow();
  const all = groups.reduce((sum, group) => sum + group.processes, 0);
  return (
    <Section id="processes" title="Processes of the fleet">
      {all > processes.length && (
        <>
          <Table caption="All processes" head={['Service', 'Guard', 'Rules', 'Processes']}>
            {groups.map(({ version, serviceVersion, sameRules, processes: count }) => (
              <tr key={`${version} ${serviceVersion} ${sameRules}`}>
                <th scope="row">
                  {serviceVersion === undefined ? '–' : <Foreign text={serviceVersion} max={40} />}
                </th>
                <GuardCells version={version} sameRules={sameRules} />
                <td>
                  <span class="label">Processes</span>
                  {countText(count)}
                </td>
              </tr>
            ))}
          </Table>
          <p>
            The leader and the {countText(processes.length - 1)} processes whose last contact is longest ago:
          </p>
        </>
      )}
      <Table caption="Processes" head={['Process', 'Role', 'Service', 'Guard', 'Rules', 'Last contact']}>
        {processes.map(({ instance, role, version, serviceVersion, sameRules, lastHeardAt }) => (
          <tr key={instance}>
            <th scope="row">
              <Foreign text={instance} max={80} />
            </th>
            <td>
              <span class="label">Role</span>
              {role}
            </td>
            <td>
              <span class="label">Service</span>
              {serviceVersion === undefined ? '–' : <Foreign text={serviceVersion} max={40} />}
            </td>
            <GuardCells version={version} sameRules={sameRules} />
            <td>
              <span class="label">Last contact</span>
              {now - lastHeardAt > SILENT_MS ? (
                <Chip mood="warn">
                  <Ago at={lastHeardAt} />
                </Chip>
              ) : (
                <Ago at={lastHeardAt} />
              )}
            </td>
          </tr>
        ))}
      </Table>
    </Section>
  );
}

/** Which guard a process runs, and whether with the leader's rules. */
function GuardCells({ version, sameRules }: { version: string; sameRules: boolean }) {
  return (
    <>
      <td>
        <span class="label">Guard</span>
        <Foreign text={version} max={40} />
      </td>
      <td>
        <span class="label">Rules</span>
        {sameRules ? 'the same' : <Chip mood="warn">different</Chip>}
      </td>
    </>
  );
}
