"""The site for SNMP: what net-snmp's `snmpd` asks by `pass_persist`, and traps on alarm edges."""
