<#
.SYNOPSIS
Install host, agent and relay from this checkout into a folder of their own, and run them as Windows services.

.DESCRIPTION
Every package is checked against the hashes in scripts\requirements\install.txt. Run it in an elevated PowerShell.

    scripts\install.ps1                                              install the programs, or upgrade them
    scripts\install.ps1 -Service -Config C:\ProgramData\connector-host\connector-host.toml
    scripts\install.ps1 -Service -Program provisioning-agent -Config C:\ProgramData\provisioning-agent\agent.toml
    scripts\install.ps1 -Uninstall                                   remove services and programs; configuration stays

An upgrade stops the services, puts the new programs in place, and starts them again; where it fails the old ones are back.
#>
[CmdletBinding()]
param(
    [string] $Folder = (Join-Path $env:ProgramFiles 'connector-host'),
    [string] $Python = 'py.exe',
    [string] $Wheels,
    [switch] $Service,
    [ValidateSet('connector-host', 'provisioning-agent')] [string] $Program = 'connector-host',
    [string] $Config,
    [switch] $Uninstall
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$names = 'connector-host', 'provisioning-agent', 'provisioning-relay'
$old = "$Folder.old"

function Invoke-Program([string] $File, [string[]] $Arguments) {
    & $File @Arguments
    if ($LASTEXITCODE -ne 0) { throw "$File $Arguments ended with code $LASTEXITCODE" }
}

$account = [Security.Principal.WindowsPrincipal] [Security.Principal.WindowsIdentity]::GetCurrent()
if (-not $account.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    throw 'Run this in an elevated PowerShell (Run as administrator).'
}
if ((Test-Path $Folder) -and -not (Test-Path (Join-Path $Folder 'pyvenv.cfg'))) {
    throw "$Folder exists and is not an installation of this; name another folder with -Folder."
}

if ($Uninstall) {
    foreach ($name in $names) {
        if (-not (Get-Service $name -ErrorAction SilentlyContinue)) { continue }
        $arguments = @('service', 'uninstall')
        if ($name -eq 'provisioning-relay') { $arguments += '--relay' }
        $file = if ($name -eq 'connector-host') { 'connector-host.exe' } else { 'provisioning-agent.exe' }
        Invoke-Program (Join-Path $Folder "Scripts\$file") $arguments
    }
    if (Test-Path $Folder) { Remove-Item -Recurse -Force $Folder }
    Write-Host 'Removed. Configuration and state in C:\ProgramData are untouched.'
    return
}

if ($Service) {
    if (-not $Config) { throw 'Name the configuration with -Config FILE.' }
    Invoke-Program (Join-Path $Folder "Scripts\$Program.exe") @('service', 'install', '--config', $Config)
    return
}

# A Python in somebody's profile cannot be read by the account of the service.
$base = & $Python -c 'import sys; assert sys.version_info >= (3, 11), 1; print(sys.base_prefix)'
if ($LASTEXITCODE -ne 0) { throw 'Python 3.11 or later is needed: install it for all users.' }
if ("$base".StartsWith((Split-Path $env:USERPROFILE), [StringComparison]::OrdinalIgnoreCase)) {
    throw "$base belongs to one user. Install Python for all users, and name it with -Python."
}

$running = @(Get-Service $names -ErrorAction SilentlyContinue | Where-Object Status -eq 'Running')
$running | Stop-Service
try {
    if (Test-Path $old) { Remove-Item -Recurse -Force $old }
    $upgrade = Test-Path $Folder
    $whole = $false
    Push-Location (Split-Path $PSScriptRoot)
    try {
        if ($upgrade) { Move-Item $Folder $old }
        Invoke-Program $Python @('-m', 'venv', $Folder)
        $pip = @('-m', 'pip', 'install', '--quiet', '--disable-pip-version-check')
        $offline = @()
        if ($Wheels) { $offline = @('--no-index', '--find-links', $Wheels) }
        $locked = @('--no-deps', '--require-hashes', '--requirement', 'scripts\requirements\install.txt')
        Invoke-Program (Join-Path $Folder 'Scripts\python.exe') ($pip + $offline + $locked)
        $own = @('--no-deps', '--no-build-isolation', '--no-index', '.')
        Invoke-Program (Join-Path $Folder 'Scripts\python.exe') ($pip + $own)
        Invoke-Program (Join-Path $Folder 'Scripts\connector-host.exe') @('--version')
        Invoke-Program (Join-Path $Folder 'Scripts\provisioning-agent.exe') @('--version')
        $whole = $true
    } finally {
        # Ctrl-C passes `catch` by, but not this.
        if (-not $whole) {
            if ((Test-Path $Folder) -and (-not $upgrade -or (Test-Path $old))) { Remove-Item -Recurse -Force $Folder }
            if (Test-Path $old) { Move-Item $old $Folder }
            Write-Host 'The installation failed; what was there before is put back.'
        }
        Pop-Location
    }
} finally {
    $running | Start-Service
}
Write-Host "Installed in $Folder. Next:"
Write-Host "  & '$Folder\Scripts\connector-host.exe' init --config C:\ProgramData\connector-host\connector-host.toml"
Write-Host '  scripts\install.ps1 -Service -Config C:\ProgramData\connector-host\connector-host.toml'
